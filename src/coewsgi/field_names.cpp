#include "field_names.h"

namespace coewsgi {

FieldKind kind_of_field(std::string_view name) noexcept {
  const auto is = [name](std::string_view lower) { return equals_lower(name, lower); };
  switch (name.size()) {
    case 2:
      return is("te") ? FieldKind::kOfConnection : FieldKind::kOther;
    case 4:
      return is("host") ? FieldKind::kHost : FieldKind::kOther;
    case 5:
      return is("proxy") ? FieldKind::kDropped : FieldKind::kOther;
    case 6:
      if (is("cookie")) return FieldKind::kCookie;
      return is("expect") ? FieldKind::kExpect : FieldKind::kOther;
    case 7:
      if (is("trailer")) return FieldKind::kOfConnection;
      return is("upgrade") ? FieldKind::kUpgrade : FieldKind::kOther;
    case 9:
      if (is("x-real-ip")) return FieldKind::kForwarded;
      return is("forwarded") ? FieldKind::kForwarded : FieldKind::kOther;
    case 10:
      if (is("keep-alive")) return FieldKind::kOfConnection;
      return is("connection") ? FieldKind::kConnection : FieldKind::kOther;
    case 12:
      return is("content-type") ? FieldKind::kContentType : FieldKind::kOther;
    case 14:
      if (is("content-length")) return FieldKind::kContentLength;
      break;
    case 17:
      if (is("transfer-encoding")) return FieldKind::kTransferEncoding;
      break;
    default:
      break;
  }
  constexpr std::string_view kForwardedPrefix = "x-forwarded-";
  if (equals_lower(name.substr(0, kForwardedPrefix.size()), kForwardedPrefix)) {
    return FieldKind::kForwarded;
  }
  return FieldKind::kOther;
}

}  // namespace coewsgi
