"""A real cluster on one machine, to demonstrate and test on. Not installed with the product."""
