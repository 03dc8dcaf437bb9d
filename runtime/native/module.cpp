// sensemble_runtime._native: one ExecuTorch program as a function from a numpy array to a numpy array.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
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

void check(et::Error error, const std::string& path) {
  if (error == et::Error::Ok) return;
  std::string name = et::to_string(error);
  name.erase(0, sizeof("Error::") - 1);
  throw std::runtime_error(path + ": " + name + (cause.empty() ? "" : ": " + cause));
}

template <typename T>
T value_of(et::Result<T> result, const std::string& path) {
  check(result.error(), path);
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
  check(options.set_option("workspace_sharing_mode", unshared), "XnnpackBackend");
  check(et::set_option("XnnpackBackend", options.view()), "XnnpackBackend");
}

class Module {
 public:
  // Without `insist`, a pool that another program holds on to stays as it is.
  Module(const std::string& path, uint32_t threads, bool insist)
      : path_(path), module_(std::in_place, path, executorch::extension::Module::LoadMode::Mmap) {
    const std::lock_guard<std::mutex> lock(loading_);
    cause.clear();
    if (threads != 0 && (insist || alive_ == 0)) size_pool(threads);
    check(module_->load(et::Program::Verification::InternalConsistency), path_);
    const auto meta = value_of(module_->method_meta("forward"), path_);
    if (meta.num_inputs() != 1 || meta.num_outputs() != 1)
      throw nb::value_error((path_ + ": an encoder has one input and one output").c_str());
    const auto input = value_of(meta.input_tensor_meta(0), path_);
    const auto output = value_of(meta.output_tensor_meta(0), path_);
    for (const auto& dtype : dtypes)
      if (dtype.type == input.scalar_type()) dtype_ = &dtype;
    if (dtype_ == nullptr || output.scalar_type() != ScalarType::Float)
      throw nb::value_error((path_ + ": an encoder takes float32, uint8 or int64 and gives float32").c_str());
    input_.assign(input.sizes().begin(), input.sizes().end());
    output_.assign(output.sizes().begin(), output.sizes().end());
    check(module_->load_forward(), path_);
    ++alive_;
  }
  ~Module() {
    const std::lock_guard<std::mutex> lock(loading_);
    module_.reset();  // before it counts as gone, and another may replace the pool that it holds on to
    --alive_;
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  nb::ndarray<nb::numpy, float> run(nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> window) {
    Shape shape(window.shape_ptr(), window.shape_ptr() + window.ndim());
    if (window.dtype() != dtype_->numpy || shape != input_)
      throw nb::value_error((path_ + ": expected " + describe(dtype_->numpy, input_) + ", got " +
                             describe(window.dtype(), shape))
                                .c_str());
    std::vector<size_t> sizes;
    std::unique_ptr<float[]> data;
    {
      const nb::gil_scoped_release no_gil;
      const std::lock_guard<std::mutex> lock(running_);  // a Module's planned memory serves one call at a time
      cause.clear();
      const auto tensor = executorch::extension::make_tensor_ptr(
          shape, const_cast<void*>(window.data()), dtype_->type, et::etensor::DeviceType::CPU,
          executorch::aten::TensorShapeDynamism::STATIC);
      const auto outputs = value_of(module_->forward(tensor), path_);
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

 private:
  // A loaded program holds on to the pool it was compiled for, so the pool can only be replaced before the first one.
  void size_pool(uint32_t threads) {
    if (executorch::extension::get_thread_count() == threads) return;
    if (alive_ != 0) throw nb::value_error("threads: the pool is shared; size it before the first encoder is loaded");
    executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(threads);
  }

  static inline std::mutex loading_;
  static inline std::atomic<int> alive_{0};
  const std::string path_;
  std::mutex running_;
  std::optional<executorch::extension::Module> module_;
  const Dtype* dtype_ = nullptr;
  Shape input_, output_;
};

}  // namespace

NB_MODULE(_native, m) {
  // Whoever leaves without closing a session, as by a second Ctrl-C, leaves encoders to its daemon threads. That is no
  // fault of the references here, of which nanobind would warn at exit.
  nb::set_leak_warnings(false);
  et::register_pal(et::PalImpl::create(keep_cause, "sensemble_runtime"));
  give_each_program_its_own_workspace();
  nb::class_<Module>(m, "Module")
      .def(nb::init<const std::string&, uint32_t, bool>(), nb::arg("path"), nb::arg("threads") = 0, nb::arg("insist") = true,
           nb::call_guard<nb::gil_scoped_release>())
      .def("__call__", &Module::run, nb::arg("window"))
      .def_prop_ro("input", &Module::input)
      .def_prop_ro("output", &Module::output);
}
