"""Governing the map: who asks for a change, who agrees to it, what is waived and reviewed, and when it may take force.

Every function takes a session of `broker.store.audit.deciding`, so that nothing happens without an entry in the audit.
"""
