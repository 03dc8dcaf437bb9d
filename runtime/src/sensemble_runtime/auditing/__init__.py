"""The auditing room."""
