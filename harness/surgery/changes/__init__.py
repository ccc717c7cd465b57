"""Changes to a network and its optimizer that are made whole or taken back."""
