"""Controls: what a claim for a sizing method is held against, one file each. They use the contract alone, so
they serve methods that are plugged in as well."""
