// sensemble_runtime.executors._native: one ExecuTorch program as a function from a numpy array to a numpy array.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/backend/options.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>
#include <executorch/runtime/platform/platform.h>

// The wheel exports the thread pool but not its header, which needs pthreadpool's own; this is the part used here.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace nb = nanobind;
namespace et = executorch::runtime;
using executorch::aten::ScalarType;

namespace {

// ExecuTorch explains an error in its log, cause first; here the exception says it, and the terminal stays clean.
thread_local std::string cause;

void keep_cause(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* text,
                size_t size) {
  if ((level == kError || level == kFatal) && cause.empty()) cause.assign(text, size);
}

// What ExecuTorch says may quote a broken program's bytes, which need not be UTF-8 as nanobind would have it.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void raise_failure(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    const auto text = nb::steal(PyUnicode_DecodeUTF8(failure.what(), std::strlen(failure.what()), "replace"));
    if (text.is_valid()) PyErr_SetObject(PyExc_RuntimeError, text.ptr());
  }
}

void check(et::Error error) {
  if (error == et::Error::Ok) return;
  std::string name = et::to_string(error);
  name.erase(0, sizeof("Error::") - 1);
  throw Failure(name + (cause.empty() ? "" : ": " + cause));
}

template <typename T>
T value_of(et::Result<T> result) {
  check(result.error());
  return std::move(*result);
}

struct Dtype {
  ScalarType type;
  nb::dlpack::dtype numpy;
};
const Dtype dtypes[] = {{ScalarType::Float, nb::dtype<float>()},
                        {ScalarType::Byte, nb::dtype<uint8_t>()},
                        {ScalarType::Long, nb::dtype<int64_t>()}};

std::string name_of(nb::dlpack::dtype dtype) {
  switch (static_cast<nb::dlpack::dtype_code>(dtype.code)) {
    case nb::dlpack::dtype_code::Int: return "int" + std::to_string(dtype.bits);
    case nb::dlpack::dtype_code::UInt: return "uint" + std::to_string(dtype.bits);
    case nb::dlpack::dtype_code::Float: return "float" + std::to_string(dtype.bits);
    default: return "neither int nor float";
  }
}

using Shape = std::vector<int32_t>;

std::string describe(nb::dlpack::dtype dtype, const Shape& shape) {
  std::string text = name_of(dtype) + " [";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// By default all programs of the process share one workspace, and so a lock: none could run while another does.
void give_each_program_its_own_workspace() {
  constexpr int unshared = 0;  // WorkspaceSharingMode::Disabled, whose header the wheel lacks
  et::BackendOptions<1> options;
  check(options.set_option("workspace_sharing_mode", unshared));
  check(et::set_option("XnnpackBackend", options.view()));
}

// Hands out parts of a program in memory, without a copy, and knows which of them are still needed: XNNPACK packs its
// weights and frees its part.
class Loader final : public et::DataLoader {
 public:
  using Parts = std::multimap<size_t, size_t>;  // where each begins and ends

  // `needed` outlives the loaded program.
  Loader(const char* data, size_t size, Parts& needed) : data_(data), size_(size), needed_(needed) {}

  et::Result<et::FreeableBuffer> load(size_t offset, size_t size, const SegmentInfo&) const override {
    if (closed_) return et::Error::InvalidState;
    if (offset > size_ || size > size_ - offset) return et::Error::InvalidProgram;
    auto* part = new std::pair(&needed_, needed_.emplace(offset, offset + size));
    const auto free = [](void* context, void*, size_t) {
      const std::unique_ptr<std::pair<Parts*, Parts::iterator>> part(static_cast<decltype(part.get())>(context));
      part->first->erase(part->second);
    };
    return et::FreeableBuffer(data_ + offset, size, free, part);
  }
  et::Error load_into(size_t offset, size_t size, const SegmentInfo&, void* into) const override {
    if (closed_) return et::Error::InvalidState;
    if (offset > size_ || size > size_ - offset) return et::Error::InvalidProgram;
    std::memcpy(into, data_ + offset, size);
    return et::Error::Ok;
  }
  et::Result<size_t> size() const override { return size_; }
  void close() { closed_ = true; }

 private:
  const char* data_;
  const size_t size_;
  Parts& needed_;
  bool closed_ = false;
};

// A share in ExecuTorch's one thread pool. A loaded program holds on to the pool it was compiled for, so the pool can
// only be replaced before the first share.
class PoolShare {
 public:
  // Without `insist`, a pool in which others have a share stays as it is.
  PoolShare(uint32_t threads, bool insist) {
    const std::lock_guard<std::mutex> lock(counting_);
    if (threads != 0 && (insist || count_ == 0) && executorch::extension::get_thread_count() != threads) {
      if (count_ != 0) throw nb::value_error("threads: the pool is shared; size it before the first encoder is loaded");
      executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(threads);
    }
    ++count_;
  }
  ~PoolShare() {
    const std::lock_guard<std::mutex> lock(counting_);
    --count_;
  }
  PoolShare(const PoolShare&) = delete;
  PoolShare& operator=(const PoolShare&) = delete;

 private:
  static inline std::mutex counting_;  // held for as long as counting takes, never while a program loads
  static inline int count_ = 0;
};

class Module {
 public:
  using Program = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

  Module(Program program, uint32_t threads, bool insist) : share_(threads, insist), program_(std::move(program)) {
    const nb::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(loading_);
    cause.clear();
    auto loader = std::make_unique<Loader>(reinterpret_cast<const char*>(program_.data()), program_.size(), needed_);
    Loader& parts = *loader;
    module_.emplace(std::move(loader));
    check(module_->load(et::Program::Verification::InternalConsistency));
    const auto meta = value_of(module_->method_meta("forward"));
    if (meta.num_inputs() != 1 || meta.num_outputs() != 1) throw Failure("an encoder has one input and one output");
    const auto input = value_of(meta.input_tensor_meta(0));
    const auto output = value_of(meta.output_tensor_meta(0));
    for (const auto& dtype : dtypes)
      if (dtype.type == input.scalar_type()) dtype_ = &dtype;
    if (dtype_ == nullptr || output.scalar_type() != ScalarType::Float)
      throw Failure("an encoder takes float32, uint8 or int64 and gives float32");
    input_.assign(input.sizes().begin(), input.sizes().end());
    output_.assign(output.sizes().begin(), output.sizes().end());
    check(module_->load_forward());
    parts.close();
  }
  ~Module() {
    // To free a large program takes a while, for which no other Python thread should stand still.
    const nb::gil_scoped_release no_gil;
    module_.reset();
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  nb::ndarray<nb::numpy, float> run(nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> window) {
    Shape shape(window.shape_ptr(), window.shape_ptr() + window.ndim());
    if (window.dtype() != dtype_->numpy || shape != input_)
      throw nb::value_error(
          ("expected " + describe(dtype_->numpy, input_) + ", got " + describe(window.dtype(), shape)).c_str());
    std::vector<size_t> sizes;
    std::unique_ptr<float[]> data;
    {
      const nb::gil_scoped_release no_gil;
      const std::lock_guard<std::mutex> lock(running_);  // a Module's planned memory serves one call at a time
      cause.clear();
      const auto tensor = executorch::extension::make_tensor_ptr(
          shape, const_cast<void*>(window.data()), dtype_->type, et::etensor::DeviceType::CPU,
          executorch::aten::TensorShapeDynamism::STATIC);
      const auto outputs = value_of(module_->forward(tensor));
      const auto& output = outputs[0].toTensor();
      sizes.assign(output.sizes().begin(), output.sizes().end());
      data.reset(new float[output.numel()]);
      std::copy_n(output.const_data_ptr<float>(), output.numel(), data.get());
    }
    float* values = data.release();
    const nb::capsule owner(values, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    return nb::ndarray<nb::numpy, float>(values, sizes.size(), sizes.data(), owner);
  }

  std::pair<std::string, nb::tuple> input() const { return {name_of(dtype_->numpy), nb::tuple(nb::cast(input_))}; }
  nb::tuple output() const { return nb::tuple(nb::cast(output_)); }

  // Parts of the program's bytes that it no longer needs, each from its begin to its end.
  std::vector<std::pair<size_t, size_t>> unneeded() const {
    std::vector<std::pair<size_t, size_t>> parts;
    size_t begin = 0;
    for (const auto& [from, to] : needed_) {
      if (from > begin) parts.emplace_back(begin, from);
      begin = std::max(begin, to);
    }
    if (begin < program_.size()) parts.emplace_back(begin, program_.size());
    return parts;
  }

 private:
  static inline std::mutex loading_;  // loading alone needs it: nobody waits for it who frees a program or runs one
  const PoolShare share_;             // given back last
  std::mutex running_;
  const Program program_;
  Loader::Parts needed_;  // outlives the module, which frees its parts
  std::optional<executorch::extension::Module> module_;
  const Dtype* dtype_ = nullptr;
  Shape input_, output_;
};

}  // namespace

NB_MODULE(_native, m) {
  // Whoever leaves without closing a session, as by a second Ctrl-C, leaves encoders to its daemon threads. That is no
  // fault of the references here, of which nanobind would warn at exit.
  nb::set_leak_warnings(false);
  nb::register_exception_translator(raise_failure);
  et::register_pal(et::PalImpl::create(keep_cause, "sensemble_runtime"));
  give_each_program_its_own_workspace();
  nb::class_<Module>(m, "Module")
      .def(nb::init<Module::Program, uint32_t, bool>(), nb::arg("program"), nb::arg("threads") = 0,
           nb::arg("insist") = true)
      .def("__call__", &Module::run, nb::arg("window"))
      .def_prop_ro("input", &Module::input)
      .def_prop_ro("output", &Module::output)
      .def_prop_ro("unneeded", &Module::unneeded);
}
