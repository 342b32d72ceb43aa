import Compute

/// A plan of another device as it is: what tests inherit from to change some of it.
open class ForwardingPlan: LoadedPlan {
  public let base: any LoadedPlan

  public init(_ base: any LoadedPlan) { self.base = base }

  public var plan: Plan { base.plan }
  public var byteCount: Int { base.byteCount }
  public func launches(of program: ProgramID) -> [Launch] { base.launches(of: program) }

  public func write(_ values: [Float], to tensor: TensorID) throws(DeviceError) {
    try base.write(values, to: tensor)
  }
  public func write(_ values: [Double], to tensor: TensorID) throws(DeviceError) {
    try base.write(values, to: tensor)
  }
  open func read(_ tensor: TensorID) throws(DeviceError) -> [Float] { try base.read(tensor) }
  public func readDoubles(_ tensor: TensorID) throws(DeviceError) -> [Double] {
    try base.readDoubles(tensor)
  }

  open func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    try base.upload(dataset)
  }
  public func discard(_ dataset: DatasetID) { base.discard(dataset) }
  public func upload(_ table: EpochTable, for program: ProgramID) throws(DeviceError) {
    try base.upload(table, for: program)
  }

  open func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    try base.run(program, step: step, live: live)
  }
  open func run(
    launch: Int, of program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) {
    try base.run(launch: launch, of: program, step: step, live: live)
  }

  public func results(
    of program: ProgramID, steps: Range<Int>
  ) throws(DeviceError) -> [StepResult] {
    try base.results(of: program, steps: steps)
  }
  public func storage(of tensor: TensorID) -> ElementType { base.storage(of: tensor) }
  public func lossScaling() throws(DeviceError) -> LossScaling? { try base.lossScaling() }
  public func write(_ scaling: LossScaling) throws(DeviceError) { try base.write(scaling) }
}
