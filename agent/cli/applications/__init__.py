"""The commands on Applications, and what a work tree is compared with."""
