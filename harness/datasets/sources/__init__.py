"""Where data come from, one file a source; `base` holds their contract."""
