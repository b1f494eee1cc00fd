"""SRFlow (ECCV 2020), the flow that HCFlow grew from, made of the same layers."""
