"""Simulations that hold the report's intervals and tests to stated bars (`make calibrate`)."""
