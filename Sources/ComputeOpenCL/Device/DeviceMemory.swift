import COpenCL
import Compute

/// Blocking transfers between the host and one queue's device.
final class DeviceMemory {
  let context: OpenCLContext
  let queue: cl_command_queue

  init(context: OpenCLContext) throws(DeviceError) {
    self.context = context
    queue = try context.makeQueue()
  }

  deinit {
    clFinish(queue)
    clReleaseCommandQueue(queue)
  }

  func write<Element>(
    _ values: [Element], to buffer: Buffer, offset: Int
  ) throws(DeviceError) {
    guard !values.isEmpty else { return }
    let status = values.withUnsafeBytes {
      clEnqueueWriteBuffer(
        queue, buffer.handle, cl_bool(CL_TRUE), offset, $0.count, $0.baseAddress, 0, nil, nil)
    }
    try check(status, "clEnqueueWriteBuffer", on: context.name)
  }

  func read<Element>(
    _ buffer: Buffer, offset: Int, into values: inout [Element], count: Int
  ) throws(DeviceError) {
    guard count > 0 else { return }
    let status = values.withUnsafeMutableBytes {
      clEnqueueReadBuffer(
        queue, buffer.handle, cl_bool(CL_TRUE), offset, count * MemoryLayout<Element>.stride,
        $0.baseAddress, 0, nil, nil)
    }
    try check(status, "clEnqueueReadBuffer", on: context.name)
  }

  func fill(
    _ buffer: Buffer, with byte: UInt8, offset: Int = 0, count: Int? = nil
  ) throws(DeviceError) {
    let size = count ?? buffer.byteCount
    guard size > 0 else { return }
    var pattern = byte
    try check(
      clEnqueueFillBuffer(queue, buffer.handle, &pattern, 1, offset, size, 0, nil, nil),
      "clEnqueueFillBuffer", on: context.name)
  }

  func finish() throws(DeviceError) {
    try check(clFinish(queue), "clFinish", on: context.name)
  }

  // MARK: Slots

  /// Values in place of what a slot holds; a buffer that is large enough is kept.
  func replace<Element>(_ slot: BufferSlot, with values: [Element]) throws(DeviceError) {
    let size = values.count * MemoryLayout<Element>.stride
    if let known = slot.buffer, known.byteCount >= size {
      try write(values, to: known, offset: 0)
      return
    }
    let buffer = try Buffer(byteCount: size, context: context)
    try write(values, to: buffer, offset: 0)
    slot.buffer = buffer
  }

  func read<Element>(
    _ slot: BufferSlot, into values: inout [Element], first: Int, count: Int
  ) throws(DeviceError) {
    guard let buffer = slot.buffer else { return }
    try read(
      buffer, offset: first * MemoryLayout<Element>.stride, into: &values, count: count)
  }
}
