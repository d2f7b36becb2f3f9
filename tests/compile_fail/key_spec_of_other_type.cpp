// expect: invalid (type|format) specifier|throw_format_error
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/key_format.hpp>

template <class... Args>
void key(acache::key_format<Args...>, const Args&...) {}

int main() {
    key("user:{:d}", "text");
}
