// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_ENTRIES_HPP
#define ACACHE_REDIS_DETAIL_REDIS_ENTRIES_HPP

#include <acache/detail/tag_table.hpp>
#include <acache/entry.hpp>
#include <acache/redis/detail/envelope.hpp>
#include <acache/redis/detail/server_clock.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache::detail {

/// What a slot begins with, as far as it goes.
class slot_header {
public:
    slot_header() = default;
    explicit slot_header(std::string_view slot) noexcept
        : size_(static_cast<std::uint8_t>(std::min(slot.size(), slot_header_size))) {
        std::copy_n(slot.begin(), size_, bytes_.begin());
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    std::array<char, slot_header_size> bytes_{};
    std::uint8_t size_ = 0;
};

/// What was found in the slot of a key.
template <class V>
struct slot_content {
    std::optional<entry<V>> found;
    /// The value's, and when its load began, in the order of the server. Whether it is dead of them is still
    /// to be found out.
    std::vector<std::string> tags;
    std::uint64_t began = 0;
    /// What the slot begins with, where it holds anything.
    slot_header header;
    /// Somebody loads the key.
    bool leased = false;
    /// There is something that is neither a value of this key nor a lease.
    bool unreadable = false;
    /// It is no string, or an empty one, and nothing can be stored in its place.
    bool blocks = false;
};

/// Entries to bytes and back. Instants are the server's on the way, and ours here.
template <class V, class Codec>
class redis_entries {
public:
    redis_entries(const server_clock& clock, Codec codec) : clock_(clock), codec_(std::move(codec)) {}

    [[nodiscard]] std::string encode(std::string_view key, const entry<V>& e, const slot_id& id,
                                     std::uint64_t began) const {
        envelope header{.id = id,
                        .created = clock_.server_time(e.created),
                        .fresh_until = clock_.server_time(e.fresh_until),
                        .expires = clock_.server_time(e.expires),
                        .began = began,
                        .key = key};
        if (e.details) {
            header.load_time = e.details->load_time;
            header.validator = e.details->validator;
            for (const auto& t : e.details->tags) {
                header.tags.emplace_back(t.of->name());
            }
        }
        std::string result;
        append_envelope(result, header, [&](std::string& to) { codec_.encode(e.value, to); });
        return result;
    }

    [[nodiscard]] slot_content<V> decode(std::string_view bytes, std::string_view key) const {
        slot_content<V> result;
        result.header = slot_header(bytes);
        envelope e;
        switch (read_slot(bytes, key, e)) {
        case slot_kind::lease:
            result.leased = true;
            return result;
        case slot_kind::unreadable:
            result.unreadable = true;
            return result;
        default:
            break;
        }
        if (auto value = decode_value(e.payload)) {
            result.found.emplace(std::move(*value), stamps_of(e), details_of(e));
            result.tags.assign(e.tags.begin(), e.tags.end());
            result.began = e.began;
        } else {
            result.unreadable = true;
        }
        return result;
    }

private:
    [[nodiscard]] std::optional<V> decode_value(std::string_view payload) const {
        try {
            return codec_.decode(payload);
        } catch (...) {
            return std::nullopt; // the codec's way to say the same
        }
    }
    [[nodiscard]] entry_stamps stamps_of(const envelope& e) const noexcept {
        return {clock_.local_time(e.created), clock_.local_time(e.fresh_until), clock_.local_time(e.expires)};
    }
    [[nodiscard]] static entry_details_ptr details_of(const envelope& e) {
        if (e.load_time.count() == 0 && e.validator.empty() && e.tags.empty()) {
            return nullptr;
        }
        auto* const made = new entry_details;
        const entry_details_ptr result(made);
        made->load_time = e.load_time;
        made->validator = e.validator;
        return result;
    }

    const server_clock& clock_;
    [[no_unique_address]] Codec codec_;
};

/// The same entry with these tags.
template <class V>
void put_tags(entry<V>& e, std::vector<tagging> tags) {
    auto* const made = new entry_details;
    const entry_details_ptr owner(made);
    made->load_time = e.details->load_time;
    made->validator = e.details->validator;
    made->tags = std::move(tags);
    e.details = owner;
}

} // namespace acache::detail

#endif
