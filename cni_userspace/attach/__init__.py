"""The verbs (add, delete, check, status, gc) and what they share.

Records, locks, undo, publication. Knows engines only by the contract in
`attach.engine`.
"""
