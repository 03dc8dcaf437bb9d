declare module "onnxruntime-web/*.wasm?url" {
  const url: string;
  export default url;
}
