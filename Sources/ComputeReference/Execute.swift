import Compute

extension ReferencePlan {
  /// Runs one operation. A tensor that is read is copied before any is written, so an operation may
  /// write onto its own input.
  func execute(_ operation: Operation, _ context: RunContext) throws(DeviceError) {
    let live = context.live
    switch operation {
    case .gatherWindows(let op):
      try gatherWindows(
        op.shape, context, batch: &self[op.batch].values, targets: &self[op.targets].values,
        sampleWeights: &self[op.sampleWeights].values)
    case .gaussianNoise(let op):
      gaussianNoise(
        op.elementsPerSample, deviation: op.deviation, stream: op.stream, context,
        input: self[op.input].values,
        output: &self[op.output].values)

    case .conv1DForward(let op):
      conv1DForward(
        op.shape, live, input: self[op.input].values, kernel: self[op.kernel].values,
        bias: self[op.bias].values, output: &self[op.output].values)
    case .conv1DBackwardInput(let op):
      conv1DBackwardInput(
        op.shape, live, outputGradient: self[op.outputGradient].values,
        kernel: self[op.kernel].values,
        inputGradient: &self[op.inputGradient].values)
    case .conv1DBackwardKernel(let op):
      conv1DBackwardKernel(
        op.shape, live, input: self[op.input].values,
        outputGradient: self[op.outputGradient].values,
        kernelGradient: &self[op.kernelGradient].values, biasGradient: &self[op.biasGradient].values
      )

    case .batchNormForward(let op):
      batchNormForward(
        op.shape, live, input: self[op.input].values, gamma: self[op.gamma].values,
        beta: self[op.beta].values, output: &self[op.output].values, mean: &self[op.mean].values,
        variance: &self[op.variance].values, movingMean: &self[op.movingMean].values,
        movingVariance: &self[op.movingVariance].values)
    case .batchNormInference(let op):
      batchNormInference(
        op.shape, live, input: self[op.input].values, gamma: self[op.gamma].values,
        beta: self[op.beta].values, movingMean: self[op.movingMean].values,
        movingVariance: self[op.movingVariance].values, output: &self[op.output].values)
    case .batchNormBackward(let op):
      batchNormBackward(
        op.shape, live, input: self[op.input].values,
        outputGradient: self[op.outputGradient].values,
        gamma: self[op.gamma].values, mean: self[op.mean].values,
        variance: self[op.variance].values,
        inputGradient: &self[op.inputGradient].values,
        gammaGradient: &self[op.gammaGradient].values,
        betaGradient: &self[op.betaGradient].values)
    case .layerNormForward(let op):
      layerNormForward(
        op.shape, live, input: self[op.input].values, gamma: self[op.gamma].values,
        beta: self[op.beta].values, output: &self[op.output].values, mean: &self[op.mean].values,
        variance: &self[op.variance].values)
    case .layerNormBackward(let op):
      layerNormBackward(
        op.shape, live, input: self[op.input].values,
        outputGradient: self[op.outputGradient].values,
        gamma: self[op.gamma].values, mean: self[op.mean].values,
        variance: self[op.variance].values,
        inputGradient: &self[op.inputGradient].values,
        gammaGradient: &self[op.gammaGradient].values,
        betaGradient: &self[op.betaGradient].values)

    case .reluForward(let op):
      reluForward(
        live * op.elementsPerSample, input: self[op.input].values, output: &self[op.output].values)
    case .reluBackward(let op):
      reluBackward(
        live * op.elementsPerSample, output: self[op.output].values,
        outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values)
    case .sigmoidForward(let op):
      sigmoidForward(
        live * op.elementsPerSample, input: self[op.input].values, output: &self[op.output].values)
    case .sigmoidBackward(let op):
      sigmoidBackward(
        live * op.elementsPerSample, output: self[op.output].values,
        outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values)

    case .denseForward(let op):
      denseForward(
        op.shape, live, input: self[op.input].values, kernel: self[op.kernel].values,
        bias: self[op.bias].values, output: &self[op.output].values)
    case .denseBackwardInput(let op):
      denseBackwardInput(
        op.shape, live, outputGradient: self[op.outputGradient].values,
        kernel: self[op.kernel].values,
        inputGradient: &self[op.inputGradient].values)
    case .denseBackwardKernel(let op):
      denseBackwardKernel(
        op.shape, live, input: self[op.input].values,
        outputGradient: self[op.outputGradient].values,
        kernelGradient: &self[op.kernelGradient].values, biasGradient: &self[op.biasGradient].values
      )

    case .concatenateForward(let op):
      concatenateForward(
        live * op.time, op.channels, inputs: op.inputs.map { self[$0].values },
        output: &self[op.output].values)
    case .concatenateBackward(let op):
      for (part, dInput) in op.inputGradients.enumerated() {
        concatenateBackward(
          live * op.time, op.channels, part: part, outputGradient: self[op.outputGradient].values,
          inputGradient: &self[dInput].values)
      }
    case .add(let op):
      add(
        live * op.elementsPerSample, inputs: op.inputs.map { self[$0].values },
        output: &self[op.output].values)
    case .scaleChannelsForward(let op):
      scaleChannelsForward(
        op.shape, live, input: self[op.input].values, scale: self[op.scale].values,
        output: &self[op.output].values)
    case .scaleChannelsBackward(let op):
      scaleChannelsBackward(
        op.shape, live, input: self[op.input].values, scale: self[op.scale].values,
        outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values,
        scaleGradient: &self[op.scaleGradient].values)

    case .maxPoolForward(let op):
      maxPoolForward(
        op.shape, live, input: self[op.input].values, output: &self[op.output].values,
        argmax: &self[op.argmax].values)
    case .maxPoolBackward(let op):
      maxPoolBackward(
        op.shape, live, argmax: self[op.argmax].values,
        outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values)
    case .averagePoolForward(let op):
      averagePoolForward(
        op.shape, live, input: self[op.input].values, output: &self[op.output].values)
    case .averagePoolBackward(let op):
      averagePoolBackward(
        op.shape, live, outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values)
    case .meanOverTimeForward(let op):
      meanOverTimeForward(
        op.shape, live, input: self[op.input].values, output: &self[op.output].values)
    case .meanOverTimeBackward(let op):
      meanOverTimeBackward(
        op.shape, live, outputGradient: self[op.outputGradient].values,
        inputGradient: &self[op.inputGradient].values)

    case .dropoutForward(let op):
      dropout(op.shape, context, input: self[op.input].values, output: &self[op.output].values)
    case .dropoutBackward(let op):
      dropout(
        op.shape, context, input: self[op.outputGradient].values,
        output: &self[op.inputGradient].values)

    case .attentionForward(let op):
      attentionForward(
        op.shape, context, input: op.input, parameters: op.parameters, activations: op.activations,
        output: op.output)
    case .attentionBackward(let op):
      attentionBackward(
        op.shape, context, input: op.input, outputGradient: op.outputGradient,
        parameters: op.parameters,
        activations: op.activations, inputGradient: op.inputGradient, gradients: op.gradients)

    case .softmax(let op):
      softmax(
        op.classes, live, logits: self[op.logits].values,
        probabilities: &self[op.probabilities].values)
    case .softmaxCrossEntropy(let op):
      executeCrossEntropy(
        op.shape, context, logits: op.logits, targets: op.targets, sampleWeights: op.sampleWeights,
        probabilities: op.probabilities, logitsGradient: op.logitsGradient)
    case .l2Penalty(let op):
      executePenalty(op.coefficient, context, kernels: op.kernels)
    case .adam(let op):
      try executeAdam(
        op.settings, op.decayed, context, parameters: op.parameters, gradients: op.gradients,
        firstMoments: op.firstMoments, secondMoments: op.secondMoments)
    }
  }

  private func executeCrossEntropy(
    _ shape: LossShape, _ context: RunContext, logits: TensorID, targets: TensorID,
    sampleWeights: TensorID, probabilities: TensorID, logitsGradient: TensorID?
  ) {
    let gradient = logitsGradient.map { self[$0] }
    let result = softmaxCrossEntropy(
      shape, context.live, logits: self[logits].values, targets: self[targets].values,
      sampleWeights: self[sampleWeights].values, probabilities: &self[probabilities].values,
      logitsGradient: gradient.map { tensor in { tensor.values[$0] = $1 } })
    results[context.program, default: [:]][context.step] = result
  }

  private func executePenalty(
    _ coefficient: Float, _ context: RunContext, kernels: [TensorID]
  ) {
    var sum = 0.0
    for kernel in kernels {
      for weight in self[kernel].values { sum += weight * weight }
    }
    let none = PreciseResult(loss: 0, penalty: 0, hits: 0)
    results[context.program, default: [:]][context.step, default: none].penalty +=
      coefficient.decimalValue * sum
  }

  private func executeAdam(
    _ settings: AdamSettings, _ decayed: Int, _ context: RunContext, parameters: [TensorID],
    gradients: [TensorID], firstMoments: [TensorID], secondMoments: [TensorID]
  ) throws(DeviceError) {
    guard let rates = context.table?.learningRates, rates.indices.contains(context.step) else {
      throw .misused(
        device: "reference", what: "step \(context.step): the table has no learning rate for it")
    }
    for (index, parameter) in parameters.enumerated() {
      adam(
        settings, t: context.iteration + 1, learningRate: Double(rates[context.step]),
        decays: index < decayed, gradient: self[gradients[index]].values,
        parameter: &self[parameter].values, firstMoment: &self[firstMoments[index]].values,
        secondMoment: &self[secondMoments[index]].values)
    }
  }
}
