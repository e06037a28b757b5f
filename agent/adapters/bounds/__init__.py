"""What a child of this process may use, and how much of a server's answer is read: the limits that several adapters share."""
