"""What a machine is, whether it is fit to be measured, and whether its times mean anything."""
