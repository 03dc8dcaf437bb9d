// What a page or a program in Node imports.

export { Bundle, filesAt, filesOf, type Files } from "./core/bundle";
export type { SessionEvent } from "./core/events";
export type { View } from "./core/engine";
export { kindOf } from "./core/kinds";
export { LiveSet, Prediction, type SubsetScore } from "./core/live_set";
export { Opinion, type Doubt } from "./core/opinion";
export { Session, type Listener, type Sensor } from "./core/session";
export { SensembleError, type InputSpec, type Sample } from "./core/spec";
export { measured, nameOf } from "./core/subsets";
export type { SensorView } from "./core/suite";
export type { Executor } from "./executors/executor";
export { WorkerExecutor } from "./executors/in_worker";
export { OnnxExecutor } from "./executors/onnx";
export { QuickerExecutor } from "./executors/webgpu";
export { Camera, Microphone, Motion } from "./sensors/devices";
export { Captions } from "./sensors/text";
