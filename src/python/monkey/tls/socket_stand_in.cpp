#include "python/monkey/tls/socket_stand_in.h"

#include <vector>

#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/monkey/sockets/socket_layout.h"

namespace coev::python {
namespace {

using Own = SocketStandIn::Own;

// What _ssl._SSLSocket begins with, in every version.
struct SslFields {
  PyObject_HEAD PyObject* socket;  // a weak reference; nullptr over a MemoryBIO
};

PyObject*& reference_to_socket(PyObject* ssl) noexcept {
  return reinterpret_cast<SslFields*>(ssl)->socket;
}

// Those that no call uses: of several at a time, for a callback may switch.
std::vector<Own>& idle() noexcept {
  static auto* const all = new std::vector<Own>;
  return *all;
}

// The references of those that calls use, and what each took the place of: more than
// one if a callback waits, and then perhaps one for another. Not on the stacks of the
// calls, which a child of a fork does not have.
struct InPlace {
  PyObject* ours;
  PyObject* replaced;
};
std::vector<InPlace>& in_place() noexcept {
  static auto* const all = new std::vector<InPlace>;
  return *all;
}

void put_away(PyObject* ours) noexcept {
  std::erase_if(in_place(), [&](const InPlace& one) { return one.ours == ours; });
}

// The user's reference, if `reference` is one of ours.
PyObject* users_reference(PyObject* reference) noexcept {
  for (auto one = in_place().rbegin(); one != in_place().rend(); ++one) {
    if (one->ours == reference) reference = one->replaced;
  }
  return reference;
}

// Sockets of C have no weak references, a subclass in Python does. Borrowed.
PyTypeObject* stand_in_type() noexcept {
  static PyObject* type = nullptr;
  if (type == nullptr) {
    type = PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O){ss}",
                                 "_socket_stand_in", socket_type(), "__slots__", "__weakref__");
  }
  return reinterpret_cast<PyTypeObject*>(type);
}

bool make(Own* own) noexcept {
  PyTypeObject* type = stand_in_type();
  Ref object = type == nullptr ? Ref() : new_instance(type);
  if (!object) return false;
  own->reference = PyWeakref_NewRef(object.get(), nullptr);
  if (own->reference == nullptr) return false;
  own->object = object.release();
  return true;
}

void warn_of_unknown_layout() noexcept {
  const char* what =
      "coev does not know how this interpreter lays out its SSL objects: "
      "TLS blocks the whole OS thread";
  if (PyErr_WarnEx(PyExc_RuntimeWarning, what, 1) < 0) PyErr_WriteUnraisable(nullptr);
}

// Asked until there is an object that tells: one over a socket, which is its owner
// as well. An object has one weak reference without a callback, and so we know it
// again.
bool is_as_known(PyObject* ssl) noexcept {
  enum class Layout { kNotSeen, kKnown, kUnknown };
  static Layout layout = Layout::kNotSeen;
  if (layout != Layout::kNotSeen) [[likely]]
    return layout == Layout::kKnown;
  const Ref owner = Ref::steal(PyObject_GetAttrString(ssl, "owner"));
  if (owner && PyObject_TypeCheck(owner.get(), socket_type())) {
    const Ref reference = Ref::steal(PyWeakref_NewRef(owner.get(), nullptr));
    const bool known = reference && reference_to_socket(ssl) == reference.get();
    layout = known ? Layout::kKnown : Layout::kUnknown;
    if (!known) warn_of_unknown_layout();
  }
  PyErr_Clear();
  return layout == Layout::kKnown;
}

}  // namespace

PyObject* socket_of(PyObject* ssl) noexcept {
  if (!is_as_known(ssl) || reference_to_socket(ssl) == nullptr) return nullptr;
  PyObject* const reference = users_reference(reference_to_socket(ssl));
  PyObject* socket = reinterpret_cast<PyWeakReference*>(reference)->wr_object;
  return socket == Py_None ? nullptr : socket;
}

SocketStandIn::SocketStandIn(PyObject* ssl, PyObject* socket, std::int64_t timeout_ns) noexcept
    : ssl_(ssl) {
  if (!idle().empty()) {
    own_ = idle().back();
    idle().pop_back();
  } else if (!make(&own_)) {
    return;
  }
  copy_socket(own_.object, socket);
  socket_fields(own_.object).timeout_ns = timeout_ns;
  users_ = reference_to_socket(ssl);
  reference_to_socket(ssl) = own_.reference;
  in_place().push_back({own_.reference, users_});
  in_place_ = true;
}

SocketStandIn::~SocketStandIn() {
  if (!in_place_) return;
  put_away(own_.reference);
  reference_to_socket(ssl_) = users_;
  socket_fields(own_.object).fd = -1;
  idle().push_back(own_);
}

}  // namespace coev::python
