"""Class activation mapping: the small tested package behind the lessons."""
