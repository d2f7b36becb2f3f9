// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_TAG_STAMPS_HPP
#define ACACHE_REDIS_DETAIL_TAG_STAMPS_HPP

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace acache::detail {

/// When tags were last invalidated, as far as the server has said so and nothing has been heard since. Spares
/// an entry with tags a second question. Thread-safe.
class tag_stamps {
public:
    [[nodiscard]] std::optional<std::uint64_t> find(std::string_view tag) {
        const std::lock_guard lock{mutex_};
        const auto at = known_.find(std::string(tag));
        return at == known_.end() ? std::nullopt : std::optional(at->second);
    }

    /// To be asked before the server is, and given to `learn` with what that says.
    [[nodiscard]] std::uint64_t now() {
        const std::lock_guard lock{mutex_};
        return changes_;
    }
    void learn(std::string_view tag, std::uint64_t stamp, std::uint64_t asked_at) {
        const std::lock_guard lock{mutex_};
        if (asked_at != changes_) {
            return; // this or another tag has been invalidated meanwhile
        }
        if (known_.size() == most) {
            known_.clear();
        }
        known_.insert_or_assign(std::string(tag), stamp);
    }

    void forget(std::string_view tag) {
        const std::lock_guard lock{mutex_};
        ++changes_;
        known_.erase(std::string(tag));
    }
    void forget_all() {
        const std::lock_guard lock{mutex_};
        ++changes_;
        known_.clear();
    }

private:
    static constexpr std::size_t most = 65'536;

    std::mutex mutex_;
    std::unordered_map<std::string, std::uint64_t> known_;
    std::uint64_t changes_ = 0;
};

} // namespace acache::detail

#endif
