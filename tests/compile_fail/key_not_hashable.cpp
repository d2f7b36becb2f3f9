// expect: this key type cannot be hashed
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/hash.hpp>

struct opaque {};

int main() {
    return static_cast<int>(acache::hash<opaque>{}({}));
}
