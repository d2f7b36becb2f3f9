// expect: specialise acache::default_key_codec or give a key codec, or describe the type for Boost.JSON
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/redis/key_codec.hpp>

#include <string>

struct undescribed {
    int number;
};

int main() {
    std::string text;
    acache::default_key_codec<undescribed>{}.encode({7}, text);
}
