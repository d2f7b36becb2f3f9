// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_PREFIX_REGISTRY_HPP
#define ACACHE_REDIS_DETAIL_PREFIX_REGISTRY_HPP

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace acache::detail {

/// The prefixes of the caches of one client: no key may belong to two of them. Thread-safe.
class prefix_registry {
public:
    void add(const std::string& prefix) {
        const std::lock_guard lock{mutex_};
        for (const auto& other : prefixes_) {
            if (other.starts_with(prefix) || prefix.starts_with(other)) {
                throw std::invalid_argument(
                    "acache: the keys of two caches in one Redis would begin with \"" + prefix + "\" and \"" +
                    other + "\"; give them prefixes of which none begins with the other");
            }
        }
        prefixes_.push_back(prefix);
    }
    void remove(const std::string& prefix) noexcept {
        const std::lock_guard lock{mutex_};
        std::erase(prefixes_, prefix);
    }

private:
    std::mutex mutex_;
    std::vector<std::string> prefixes_;
};

} // namespace acache::detail

#endif
