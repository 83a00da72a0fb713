"""One module a framework: each builds the same application out of the same route table.

A module has `DISTRIBUTION` (whose installed version is reported), `WRONG_METHOD_STATUS` and
`build(routes)`. It is imported by the measuring process of that framework only.
"""
