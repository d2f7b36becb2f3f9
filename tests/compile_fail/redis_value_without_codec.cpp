// expect: specialise acache::default_codec or give a codec, or describe the type for Boost.JSON
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/redis/codec.hpp>

#include <string>

struct undescribed {
    int number;
};

int main() {
    std::string bytes;
    acache::default_codec<undescribed>{}.encode({7}, bytes);
}
