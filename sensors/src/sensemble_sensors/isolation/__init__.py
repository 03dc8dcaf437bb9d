"""The isolation room."""
