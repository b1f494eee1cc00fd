"""Networks of other papers, small files that share their parts, and what runs them."""
