"""The ten labels."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
