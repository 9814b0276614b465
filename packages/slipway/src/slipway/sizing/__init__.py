"""Memory that functions need, from the reports that Lambda writes after each invocation."""
