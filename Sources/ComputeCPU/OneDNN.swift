import COneDNN
import CVectorLoops
import Compute

/// oneDNN's engine and stream, and its status codes as errors by name.
final class OneDNN {
  let device: String
  let threads: Int32
  let engine: dnnl_engine_t
  let stream: dnnl_stream_t
  /// Raised whenever a weight may have changed: reordered copies are then made again.
  var weightsVersion: UInt64 = 1
  private var cachedWeights: [TensorID: [ReorderedWeights]] = [:]
  let pool: MemoryPool

  init(device: String, threads: Int, pool: MemoryPool) throws(DeviceError) {
    self.device = device
    self.threads = Int32(threads)
    self.pool = pool
    var engine: dnnl_engine_t?
    try Self.check(dnnl_engine_create(&engine, dnnl_cpu, 0), "dnnl_engine_create", device)
    guard let engine else { throw .unavailable(device: device, reason: "oneDNN has no engine") }
    var stream: dnnl_stream_t?
    let status = dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue))
    guard status == dnnl_success, let stream else {
      dnnl_engine_destroy(engine)
      throw .callFailed(device: device, call: "dnnl_stream_create", code: Self.name(of: status))
    }
    self.engine = engine
    self.stream = stream
  }

  deinit {
    cachedWeights = [:]
    dnnl_stream_destroy(stream)
    dnnl_engine_destroy(engine)
  }

  /// Lets go of the reordered weights: their primitives hold this object, which holds them.
  func releaseWeights() { cachedWeights = [:] }

  /// `out_of_memory`, `unimplemented`, …
  static func name(of status: dnnl_status_t) -> String { String(cString: dnnl_status2str(status)) }

  static func check(
    _ status: dnnl_status_t, _ call: String, _ device: String
  ) throws(DeviceError) {
    guard status != dnnl_success else { return }
    throw .callFailed(device: device, call: call, code: name(of: status))
  }

  func check(_ status: dnnl_status_t, _ call: String) throws(DeviceError) {
    try Self.check(status, call, device)
  }

  /// A single-precision tensor description; strides in elements, or nil for any layout.
  func describe(
    _ dimensions: [Int], strides: [Int]?
  ) throws(DeviceError) -> dnnl_memory_desc_t {
    var result = dnnl_memory_desc_t()
    let count = Int32(dimensions.count)
    let sizes = dimensions.map { dnnl_dim_t($0) }
    if let strides {
      try check(
        dnnl_memory_desc_init_by_strides(
          &result, count, sizes, dnnl_f32, strides.map { dnnl_dim_t($0) }),
        "dnnl_memory_desc_init_by_strides")
    } else {
      try check(
        dnnl_memory_desc_init_by_tag(&result, count, sizes, dnnl_f32, dnnl_format_tag_any),
        "dnnl_memory_desc_init_by_tag")
    }
    return result
  }

  func memory(
    _ description: dnnl_memory_desc_t, at address: UnsafeMutableRawPointer
  ) throws(DeviceError) -> OneDNNMemory {
    var description = description
    var memory: dnnl_memory_t?
    try check(dnnl_memory_create(&memory, &description, engine, address), "dnnl_memory_create")
    guard let memory else { throw .unavailable(device: device, reason: "oneDNN has no memory") }
    return OneDNNMemory(memory)
  }

  /// C := op(A)·op(B) + beta·C, all row-major and packed. M, N, K as of the product.
  func multiply(
    transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int,
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, beta: Float,
    _ c: UnsafeMutablePointer<Float>
  ) throws(DeviceError) {
    let no = CChar(UInt8(ascii: "N"))
    let yes = CChar(UInt8(ascii: "T"))
    try check(
      dnnl_sgemm(
        transposeA ? yes : no, transposeB ? yes : no, dnnl_dim_t(m), dnnl_dim_t(n),
        dnnl_dim_t(k), 1, a, dnnl_dim_t(transposeA ? m : k), b, dnnl_dim_t(transposeB ? k : n),
        beta, c, dnnl_dim_t(n)),
      "dnnl_sgemm")
  }

  /// A copy of a weight in the layout that a primitive wants, shared by all that want the same.
  ///
  /// - Parameter reversing: for the convolution that computes an input's gradient.
  func weights(
    _ id: TensorID, at address: UnsafeMutableRawPointer, plain: dnnl_memory_desc_t,
    wanted: dnnl_memory_desc_t, reversing shape: Conv1DShape? = nil
  ) throws(DeviceError) -> ReorderedWeights {
    var wantedCopy = wanted
    for cache in cachedWeights[id] ?? [] where cache.shape == shape {
      var description = cache.description
      if dnnl_memory_desc_equal(&description, &wantedCopy) != 0 { return cache }
    }
    let cache = try ReorderedWeights(
      self, plain: plain, address: address, wanted: wanted, reversing: shape)
    cachedWeights[id, default: []].append(cache)
    return cache
  }
}

/// Owns a `dnnl_memory_t`.
final class OneDNNMemory {
  let raw: dnnl_memory_t

  init(_ raw: dnnl_memory_t) { self.raw = raw }

  deinit { dnnl_memory_destroy(raw) }
}

/// A primitive with its arguments bound.
final class OneDNNPrimitive {
  private let oneDNN: OneDNN
  private let raw: dnnl_primitive_t
  private let arguments: UnsafeMutableBufferPointer<dnnl_exec_arg_t>
  private let memories: [OneDNNMemory]
  private let name: String

  init(
    _ oneDNN: OneDNN, _ description: dnnl_primitive_desc_t, name: String,
    arguments list: [(Int32, OneDNNMemory)]
  ) throws(DeviceError) {
    var raw: dnnl_primitive_t?
    try oneDNN.check(dnnl_primitive_create(&raw, description), "dnnl_primitive_create(\(name))")
    guard let raw else {
      throw .unavailable(device: oneDNN.device, reason: "oneDNN made no primitive for \(name)")
    }
    self.oneDNN = oneDNN
    self.raw = raw
    self.name = name
    memories = list.map(\.1)
    arguments = .allocate(capacity: list.count)
    _ = arguments.initialize(
      from: list.map { dnnl_exec_arg_t(arg: $0.0, memory: $0.1.raw) })
  }

  deinit {
    dnnl_primitive_destroy(raw)
    arguments.deallocate()
  }

  func execute() throws(DeviceError) {
    let status = dnnl_primitive_execute(
      raw, oneDNN.stream, Int32(arguments.count), arguments.baseAddress)
    if status != dnnl_success { try oneDNN.check(status, "dnnl_primitive_execute(\(name))") }
  }

  /// Copies between two layouts of one tensor.
  static func reorder(
    _ oneDNN: OneDNN, from source: (dnnl_memory_desc_t, OneDNNMemory),
    to destination: (dnnl_memory_desc_t, OneDNNMemory)
  ) throws(DeviceError) -> OneDNNPrimitive {
    var from = source.0
    var to = destination.0
    var description: dnnl_primitive_desc_t?
    try oneDNN.check(
      dnnl_reorder_primitive_desc_create(
        &description, &from, oneDNN.engine, &to, oneDNN.engine, nil),
      "dnnl_reorder_primitive_desc_create")
    defer { dnnl_primitive_desc_destroy(description) }
    guard let description else {
      throw .unavailable(device: oneDNN.device, reason: "oneDNN has no reorder")
    }
    return try OneDNNPrimitive(
      oneDNN, description, name: "reorder",
      arguments: [(DNNL_ARG_FROM, source.1), (DNNL_ARG_TO, destination.1)])
  }
}

/// A weight in a primitive's own layout, refreshed before use when weights changed.
final class ReorderedWeights {
  let description: dnnl_memory_desc_t
  let memory: OneDNNMemory
  /// Set where the kernel is first reversed in time and transposed.
  let shape: Conv1DShape?
  private unowned let oneDNN: OneDNN
  private let reorder: OneDNNPrimitive?
  private let address: UnsafeMutablePointer<Float>
  private let reversed: UnsafeMutablePointer<Float>?
  private var version: UInt64 = 0

  init(
    _ oneDNN: OneDNN, plain: dnnl_memory_desc_t, address: UnsafeMutableRawPointer,
    wanted: dnnl_memory_desc_t, reversing shape: Conv1DShape?
  ) throws(DeviceError) {
    self.oneDNN = oneDNN
    self.shape = shape
    self.address = address.assumingMemoryBound(to: Float.self)
    description = wanted
    var a = plain
    var b = wanted
    if let shape {
      reversed = try oneDNN.pool.array(
        Float.self, count: shape.taps * shape.inputChannels * shape.outputChannels)
    } else {
      reversed = nil
    }
    let source = try oneDNN.memory(
      plain, at: reversed.map { UnsafeMutableRawPointer($0) } ?? address)
    if dnnl_memory_desc_equal(&a, &b) != 0 {
      memory = source
      reorder = nil
    } else {
      memory = try oneDNN.memory(wanted, at: oneDNN.pool.bytes(dnnl_memory_desc_get_size(&b)))
      reorder = try .reorder(oneDNN, from: (plain, source), to: (wanted, memory))
    }
  }

  func refresh() throws(DeviceError) {
    guard version != oneDNN.weightsVersion else { return }
    if let shape, let reversed {
      vl_flip_kernel(
        oneDNN.threads, reversed, address, shape.taps, shape.inputChannels, shape.outputChannels)
    }
    try reorder?.execute()
    version = oneDNN.weightsVersion
  }
}
