"""What the product promises, each test named after the hazard that it guards against."""
