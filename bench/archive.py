def extract(*a, **k):
    pass
