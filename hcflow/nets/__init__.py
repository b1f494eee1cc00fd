"""Networks inside the flow that need no inverse: the conditioner and the subnets of couplings."""
