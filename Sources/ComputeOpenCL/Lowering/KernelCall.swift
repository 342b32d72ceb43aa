import COpenCL
import Compute

/// What a kernel is given. Tensors and regions are two arguments each: the buffer, and the element
/// at which they begin.
enum KernelArgument {
  case tensor(Buffer, offset: Int, isHalf: Bool = false)
  case region(BufferSlot, offset: Int, isHalf: Bool = false)
  /// A whole exchangeable buffer: one argument.
  case slot(BufferSlot)
  case int(Int)
  case uint(UInt32)
  case float(Float)
  /// Live samples of the run, `int`.
  case live
  /// Live samples times this, `int`.
  case liveTimes(Int)
  /// Step of the run, `int`.
  case step

  /// Whether its elements are halves.
  var isHalf: Bool {
    switch self {
    case .tensor(_, _, let isHalf), .region(_, _, let isHalf): isHalf
    default: false
    }
  }
}

/// A kernel with its arguments bound, but for what a run varies.
final class KernelCall {
  private let kernel: cl_kernel
  let name: String
  /// For profiles.
  let cost: (_ live: Int) -> KernelCost
  /// What its tile was chosen for, where it is a product.
  var product: ProductKey?
  private let device: String
  /// Of `Kernels/`.
  private let file: String
  private let limits: GroupLimits
  private let local: [Int]
  private let groups: (_ live: Int) -> [Int]
  private var liveArguments: [(index: cl_uint, factor: Int)] = []
  private var stepArguments: [cl_uint] = []
  private var slots: [(index: cl_uint, slot: BufferSlot, bound: cl_mem?)] = []
  private var boundLive: Int?
  /// Work items a dimension for `boundLive`.
  private var global: [Int] = []

  /// Takes over the kernel and releases it at the end.
  ///
  /// - Parameters:
  ///   - file: of `Kernels/` that the kernel is from.
  ///   - local: work-group size, one to three dimensions.
  ///   - groups: number of work-groups a dimension for so many live samples.
  init(
    kernel: cl_kernel, file: String, name: String, arguments: [KernelArgument], local: [Int],
    groups: @escaping (_ live: Int) -> [Int],
    cost: @escaping (_ live: Int) -> KernelCost = { _ in KernelCost() }, context: OpenCLContext
  ) throws(DeviceError) {
    self.kernel = kernel
    self.file = file
    limits = context.groupLimits
    self.name = name
    self.cost = cost
    self.local = local
    self.groups = groups
    device = context.name
    var index: cl_uint = 0
    for argument in arguments { try bind(argument, at: &index) }
    try checkWorkGroup(context)
  }

  deinit { clReleaseKernel(kernel) }

  private func bind(_ argument: KernelArgument, at index: inout cl_uint) throws(DeviceError) {
    switch argument {
    case .tensor(let buffer, let offset, _):
      try set(index, buffer.handle)
      try set(index + 1, cl_ulong(offset))
      index += 1
    case .region(let slot, let offset, _):
      slots.append((index, slot, nil))
      try set(index + 1, cl_ulong(offset))
      index += 1
    case .slot(let slot):
      slots.append((index, slot, nil))
    case .int(let value): try set(index, cl_int(value))
    case .uint(let value): try set(index, cl_uint(value))
    case .float(let value): try set(index, value)
    case .live: liveArguments.append((index, 1))
    case .liveTimes(let factor): liveArguments.append((index, factor))
    case .step: stepArguments.append(index)
    }
    index += 1
  }

  private func set<Value>(_ index: cl_uint, _ value: Value) throws(DeviceError) {
    let status = withUnsafeBytes(of: value) {
      clSetKernelArg(kernel, index, $0.count, $0.baseAddress)
    }
    try check(status, "clSetKernelArg(\(name), \(index))", on: device)
  }

  /// Some devices allow a kernel fewer work items than they allow others; and a driver that lets a
  /// kernel have more local memory than there is has it write into somebody else's.
  private func checkWorkGroup(_ context: OpenCLContext) throws(DeviceError) {
    let description = context.description
    let limit = try ask(CL_KERNEL_WORK_GROUP_SIZE, of: description, Int(0))
    let wanted = local.reduce(1, *)
    guard wanted <= limit else {
      context.groupLimits.note(limit, of: file)
      throw .unsupported(
        device: device,
        what: "kernel \(name): it needs \(wanted) work items a group, the device allows \(limit)")
    }
    let bytes = try ask(CL_KERNEL_LOCAL_MEM_SIZE, of: description, cl_ulong(0))
    guard bytes <= description.localMemory else {
      throw .unsupported(
        device: device,
        what: "kernel \(name): it needs \(bytes) bytes of local memory a group, the device has "
          + "\(description.localMemory)")
    }
  }

  private func ask<Value>(
    _ question: Int32, of description: OpenCLDeviceDescription, _ initial: Value
  ) throws(DeviceError) -> Value {
    var value = initial
    let status = withUnsafeMutableBytes(of: &value) {
      clGetKernelWorkGroupInfo(
        kernel, description.device, cl_kernel_work_group_info(question), $0.count, $0.baseAddress,
        nil)
    }
    try check(status, "clGetKernelWorkGroupInfo(\(name))", on: device)
    return value
  }

  /// - Parameters:
  ///   - empties: gives the kernel no live samples and one group: it is compiled, where a platform
  ///     compiles at the first enqueue, and does nothing.
  ///   - event: where the launch's event goes; the caller releases it.
  func enqueue(
    on queue: cl_command_queue, step: Int, live: Int, empties: Bool = false,
    event: UnsafeMutablePointer<cl_event?>? = nil
  ) throws(DeviceError) {
    for index in slots.indices {
      let current = slots[index].slot.buffer?.handle
      guard current != slots[index].bound || current == nil else { continue }
      try set(slots[index].index, current)
      slots[index].bound = current
    }
    let bound = empties ? 0 : live
    if boundLive != bound {
      for argument in liveArguments { try set(argument.index, cl_int(bound * argument.factor)) }
      let counts = empties ? local.map { _ in 1 } : groups(live)
      global = zip(counts, local).map { $0 * $1 }
      boundLive = bound
    }
    for index in stepArguments { try set(index, cl_int(step)) }
    let status = clEnqueueNDRangeKernel(
      queue, kernel, cl_uint(local.count), nil, global, local, 0, nil, event)
    // Some drivers find out here.
    if status == CL_INVALID_WORK_GROUP_SIZE { limits.note(local.reduce(1, *) / 2, of: file) }
    try check(status, "clEnqueueNDRangeKernel(\(name))", on: device)
  }
}

/// What a launch puts into the queue.
enum Command {
  case kernel(KernelCall)
  case library(LibraryCall)

  func enqueue(
    on queue: cl_command_queue, step: Int, live: Int,
    event: UnsafeMutablePointer<cl_event?>? = nil
  ) throws(DeviceError) {
    switch self {
    case .kernel(let call): try call.enqueue(on: queue, step: step, live: live, event: event)
    case .library(let call): try call.enqueue(queue, live, event)
    }
  }
}

/// A product that CLBlast makes.
struct LibraryCall {
  /// For profiles.
  let cost: (_ live: Int) -> KernelCost
  /// Is given the queue, the live samples, and where to put the event of its last kernel, if anybody
  /// wants it.
  let enqueue:
    (
      _ queue: cl_command_queue, _ live: Int, _ event: UnsafeMutablePointer<cl_event?>?
    ) throws(DeviceError) -> Void
}

extension Command {
  /// For profiles.
  var name: String {
    switch self {
    case .kernel(let call): call.name
    case .library: "CLBlast"
    }
  }

  func cost(live: Int) -> KernelCost {
    switch self {
    case .kernel(let call): call.cost(live)
    case .library(let call): call.cost(live)
    }
  }
}

/// A launch with the commands that it is made of.
struct OpenCLLaunch {
  var launch: Launch
  var commands: [Command]
}
