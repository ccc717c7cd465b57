"""From a study file to the frozen plan: schema, file, planning, warnings, forecast."""
