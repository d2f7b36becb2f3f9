// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef CONSUMER_HPP
#define CONSUMER_HPP

/// Calls a wrapped function twice with one argument; returns how often it was run. Once, if all is well.
int loads_of_two_calls();

#endif
