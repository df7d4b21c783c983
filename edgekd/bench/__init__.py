"""The on-device benchmark: fresh worker processes, honest intervals. Imports nothing heavy."""
