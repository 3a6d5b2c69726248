#include "waiting.h"

namespace evmemcached {

const coev_api* coev = nullptr;

}  // namespace evmemcached
