from reidlib.compiled import compiled


def test_compiles_where_nothing_can_be_stored():
    namespace = {}
    exec("def double(x): return 2 * x", namespace)  # without a source file, numba has no place for its cache
    assert compiled()(namespace["double"])(21) == 42
