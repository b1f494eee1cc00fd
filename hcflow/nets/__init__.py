"""Networks that need no inverse: the conditioner, the subnets of couplings, and those that only train others."""
