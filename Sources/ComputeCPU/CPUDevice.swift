import COneDNN
import CVectorLoops
import Compute

/// Runs plans on the processor in single precision: convolutions and dense layers through oneDNN on
/// channels-last tensors, everything between them by vectorised passes of ours on the same team of
/// threads. The same seed and thread count give the same bits.
public struct CPUDevice: Device {
  public let threads: Int
  /// Threads that compute at the same time: fewer than `threads` where OpenMP starts no more. Sums are
  /// cut into parts by `threads` all the same.
  public let workers: Int
  public let name: String
  public var precision: Precision { .fp32 }

  /// - Parameter threads: worker threads of every launch; at least one is used.
  public init(threads: Int) {
    self.threads = max(1, threads)
    workers = Int(vl_team_size(Int32(self.threads)))
    let version = dnnl_version().pointee
    let asked = self.threads == 1 ? "1 thread" : "\(self.threads) threads"
    let count = workers < self.threads ? "\(workers) of \(asked)" : asked
    name =
      "CPU (oneDNN \(version.major).\(version.minor).\(version.patch), \(count), "
      + "\(Self.instructionSet))"
  }

  /// A sentence where fewer threads compute than were asked for.
  public var remark: String? {
    guard workers < threads else { return nil }
    return "OpenMP starts \(workers) of \(threads) threads, so that the CPU takes longer: unset "
      + "OMP_THREAD_LIMIT, OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS, or use a oneDNN that was built "
      + "with GNU OpenMP"
  }

  /// The widest instructions that oneDNN uses here.
  private static var instructionSet: String {
    let isa = dnnl_get_effective_cpu_isa()
    if isa.rawValue >= dnnl_cpu_isa_avx512_core_amx.rawValue { return "AVX-512 AMX" }
    if isa.rawValue & dnnl_cpu_isa_avx512_core.rawValue == dnnl_cpu_isa_avx512_core.rawValue {
      return "AVX-512"
    }
    if isa.rawValue & dnnl_cpu_isa_avx2.rawValue == dnnl_cpu_isa_avx2.rawValue { return "AVX2" }
    return "SSE"
  }

  public func load(
    _ plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> any LoadedPlan {
    try CPULoadedPlan(plan, options: options, device: self)
  }

  public func layout(
    of plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> ArenaLayout {
    try CPULoadedPlan.layout(
      plan, schedules: CPULoadedPlan.schedules(plan, options: options), options: options,
      device: self)
  }
}
