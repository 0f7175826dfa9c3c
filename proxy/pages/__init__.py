"""What operators look at: pages and charts, made from values.

Everything here runs in a child process or on the command line, never beside calls: a query may take a second, and
the engine that draws charts takes 100 MB.
"""
