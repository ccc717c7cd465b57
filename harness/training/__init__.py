"""The training loop and its costs; knows no Ray and no Optuna."""
