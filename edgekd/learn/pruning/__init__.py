"""Networks with fewer channels: which hang together, what each is worth, how many the budget leaves."""
