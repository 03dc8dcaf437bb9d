"""The labels: the ten digits in words."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
