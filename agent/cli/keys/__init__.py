"""The user's keys: where they are found, whom they encrypt for, and the files that they open and seal."""
