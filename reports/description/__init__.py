"""An arm by itself: accounting, summary, curves, fronts."""
