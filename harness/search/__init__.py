"""How points are chosen: spaces, samplers, seeds. Importing it loads no Optuna."""
