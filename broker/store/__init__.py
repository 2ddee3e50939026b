"""The read model in SQL: cases, trail, account, measured levels and what people decided.

Everything but people's decisions can be rebuilt from the topics. The only package that knows SQL; it opens no
other connection, decides nothing and is never waited for by the gate.
"""
